"""Estimators in files that hold no code: :func:`save` and :func:`load`.

``_writer`` makes nodes of objects and ``_reader`` objects of nodes; ``_names`` says what a file may
name, ``_classes`` what is special about networks, nets and estimators; ``_container`` is the file.
"""

from skda.persistence._saving import load, save

__all__ = ["load", "save"]
