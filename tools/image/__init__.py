"""Builds the container image without a container engine, for machines that have none.

`facts` says what the image is, `base` and `python_code` make its file system, `oci` writes the archive, and
`unpacked` runs what came out.  The Dockerfile lets the same code make the same file system, so there is one
description of the image's content.
"""
