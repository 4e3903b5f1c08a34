"""Packages that published code imports and that cannot be installed without a compiler for CUDA.

A worker that runs such code has this folder last on its path: a package that is installed goes before its stand-in.
"""
