"""The demo's story and what it needs: `keeper` owns the processes, `stage` is where it plays, `story` tells it."""
