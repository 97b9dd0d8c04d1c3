"""Files: a node's own log, the collector's database, output.txt, the run's directory."""
