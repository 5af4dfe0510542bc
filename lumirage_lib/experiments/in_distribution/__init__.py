"""T1w: are networks and iterative methods equally accurate?"""
