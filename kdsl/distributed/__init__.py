"""The steps over shards: in processes of this machine, or in a Ray cluster."""
