"""Starting, keeping and ending the processes of one machine."""
