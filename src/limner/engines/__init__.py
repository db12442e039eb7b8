"""Who does a batch: this process, or a Ray cluster; the work and what it leaves are the same."""
