"""Tests of the local API server, over real HTTP wherever that is where it could go wrong."""
