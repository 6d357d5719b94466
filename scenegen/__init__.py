"""scenegen: draw a road scene, get a labelled multi-camera driving data set.

Read `scenegen/pipeline.py` first: it is the whole main job on one page.
"""

__version__ = "0.1.0"
