"""The demo's story, and what it shares with other demos.

`keeper` owns the processes, `stage` is where a demo plays, `telling` shows what happens, and `running` is what their
command lines do alike; `story` is that of the three offices.
"""
