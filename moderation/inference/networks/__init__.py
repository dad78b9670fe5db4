"""The networks as plain torch modules: each file is one network, read in one sitting; weights come from `weights.py`."""
