"""One node of the mesh, whatever it does with entries: it joins, tells, hears, serves and mends."""
