"""One module per dialect; `gateway.shell.catalog` finds them by scanning this folder."""
