"""Where the channels of an array of images are."""

_FIRST, _LAST = "channels_first", "channels_last"
LAYOUTS = ("auto", _FIRST, _LAST)
# Grey, RGB, RGB with alpha.
_USUAL = (1, 3, 4)


def layout_of(shape, name, layout="auto", n_channels=None):
    """Return the layout of images, or say what makes it uncertain.

    Three things speak: which of the first and the last dimension can be channels (1, 3 or 4), which
    two dimensions are equal as the sides of a square, and which is the number of channels that
    the network takes. The last decides unless both others are against it; without it they must not
    disagree.

    Parameters
    ----------
    shape : tuple of 3 ints
        Of an image.

    name : str
        Of the array, for messages.

    layout : {"auto", "channels_first", "channels_last"}, default="auto"
        The user's parameter ``image_layout``.

    n_channels : int, default=None
        Of the images that the network takes, where it is known.

    Returns
    -------
    layout : {"channels_first", "channels_last"}
        The first of these is (n_channels, height, width), the other (height, width, n_channels).

    Raises
    ------
    ValueError
        If it is uncertain, or `layout` is none of these.
    """
    if layout not in LAYOUTS:
        raise ValueError(f"image_layout must be one of {LAYOUTS}, got {layout!r}.")
    if layout != "auto":
        return layout
    first, middle, last = shape
    by_number = _unique(first in _USUAL, last in _USUAL)
    by_square = _unique(middle == last != first, first == middle != last)
    by_network = _unique(first == n_channels, last == n_channels)
    outvoted = by_number == by_square is not None
    if by_network is not None and (by_network == by_number or not outvoted):
        return by_network
    said = {by_number, by_square} - {None}
    if by_network is None and len(said) == 1:
        return said.pop()
    raise ValueError(
        f"{name} holds images of shape {tuple(shape)}, which can be {first} channels of "
        f"{middle} x {last} pixels or {last} channels of {first} x {middle} pixels; say which, "
        f"with image_layout={_FIRST!r} for the former or image_layout={_LAST!r} for the latter."
    )


def _unique(is_first, is_last):
    if is_first == is_last:
        return None
    return _FIRST if is_first else _LAST
