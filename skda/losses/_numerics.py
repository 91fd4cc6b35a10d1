"""What every loss needs to stay finite."""


def at_least_float32(features):
    """Half-precision features in float32: covariances and kernels overflow below it."""
    return features.float() if features.element_size() < 4 else features
