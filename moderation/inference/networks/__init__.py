"""The networks as plain torch modules, one file each; their weights come from `weights.py`."""
