"""The whole mesh in memory: real nodes, scripted work, seeded faults, a virtual clock."""
