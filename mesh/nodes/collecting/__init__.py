"""The collector: verdicts, output.txt, run.sqlite, the run's course, and what the page shows."""
