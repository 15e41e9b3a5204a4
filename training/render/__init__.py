"""Draws the photos of the sample cases: everyday goods, whole or broken, as a phone would have seen them.

`catalogue.yaml` says what each photo shows; meshes, materials and damage are numpy; mitsuba traces the light.
A development extra: nothing that reviews or learns imports this package.
"""
