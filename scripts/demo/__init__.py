"""The main job on real parts, told as it happens: three models, one promoted, one rolled back,
under live traffic.
"""
