"""Folders of networks on the hub that the libraries for language load from."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from skda._optional import import_optional

# Keywords for the hub; all others are for the network.
HUB_KEYWORDS = ("revision", "token", "cache_dir")
_SETTINGS = (".json", ".txt", ".model", ".jinja")
_WEIGHTS = (".safetensors", ".bin")
# The same weights again, for other programs.
_OTHER_PROGRAMS = ("onnx", "openvino", "coreml")
_SECONDS = 10


def hub_folder(name: str, extra: str, *, with_weights: bool, **hub_keywords: Any) -> str:
    """Return the folder of a network, downloaded if it is not here yet.

    Only the files that torch loads are downloaded. A hub that does not answer is given up at
    once, and what was downloaded before is taken; the libraries would try for most of a minute.

    Parameters
    ----------
    name : str
        A folder, or ``"OWNER/NAME"`` on the hub.

    extra : str
        Of this package, that brings the client of the hub.

    with_weights : bool
        Whether weights are needed, too.

    **hub_keywords : str
        `revision`, `token` and `cache_dir` of the hub's client.

    Returns
    -------
    folder : str
        On this machine.

    Raises
    ------
    ValueError
        If there is no such network, or if it can neither be downloaded nor was before.

    ImportError
        If the client of the hub is not installed.
    """
    if Path(name).expanduser().is_dir():
        return str(Path(name).expanduser())
    if name.startswith((".", "/", "~")) or name.count("/") > 1 or "\\" in name:
        raise ValueError(
            f"module: there is no folder {name!r}; write the path of a folder, or OWNER/NAME as "
            "on the hub."
        )
    hub = import_optional("huggingface_hub", extra)
    errors = import_optional("huggingface_hub.errors", extra)
    access = {key: value for key, value in hub_keywords.items() if key != "cache_dir"}
    try:
        info = hub.HfApi().model_info(name, timeout=_SECONDS, **access)
        files = _needed_files([file.rfilename for file in info.siblings], with_weights)
        folder = _complete_folder(hub, name, info.sha, files, hub_keywords)
        return folder or hub.snapshot_download(name, allow_patterns=files, **hub_keywords)
    except (errors.RepositoryNotFoundError, errors.RevisionNotFoundError) as error:
        raise ValueError(
            f"module: the hub has no network {name!r} that you may read; check its name and "
            "module__revision, and for a private one log in or pass module__token. "
            f"({_first_line(error)})"
        ) from error
    except errors.HFValidationError as error:
        raise ValueError(
            f"module: {name!r} is neither a folder nor a name on the hub, OWNER/NAME. ({error})"
        ) from error
    except Exception as error:  # of whatever library connects, and in whatever way it fails
        return _downloaded_before(hub, name, with_weights, hub_keywords, error)


def split_hub_keywords(keywords: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the keywords for the hub, and those for the network.

    Parameters
    ----------
    keywords : dict
        Those given as ``module__*``.

    Returns
    -------
    for_hub, for_network : dict
        The two parts.
    """
    for_hub = {key: value for key, value in keywords.items() if key in HUB_KEYWORDS}
    return for_hub, {key: value for key, value in keywords.items() if key not in for_hub}


def _complete_folder(hub, name, commit, files, hub_keywords):
    """Return the folder if nothing is to be downloaded; without progress bars, at every fit."""
    try:
        keywords = {**hub_keywords, "revision": commit, "local_files_only": True}
        folder = hub.snapshot_download(name, allow_patterns=files, **keywords)
    except OSError:
        return None
    return folder if all(Path(folder, file).is_file() for file in files) else None


def _downloaded_before(hub, name, with_weights, hub_keywords, error):
    wanted = (*_SETTINGS, _WEIGHTS[0]) if with_weights else _SETTINGS
    try:
        return hub.snapshot_download(
            name,
            local_files_only=True,
            # Other files of the repository were never asked for; without them it is complete.
            allow_patterns=[f"*{ending}" for ending in wanted],
            ignore_patterns=[f"{program}/*" for program in _OTHER_PROGRAMS],
            **hub_keywords,
        )
    except Exception as missing:
        raise ValueError(
            f"module: {name!r} was not downloaded as a whole before, and cannot be now "
            f"({type(error).__name__}: {_first_line(error)}). Pass the folder of a copy as the "
            "name, set HF_HOME to the folder of earlier downloads, or HF_ENDPOINT to a mirror."
        ) from missing


def _needed_files(files: Iterable[str], with_weights: bool) -> list[str]:
    """Return the files that torch loads: of every folder safetensors, else what pickle wrote."""
    files = [name for name in files if name.partition("/")[0] not in _OTHER_PROGRAMS]
    needed = [name for name in files if name.endswith(_SETTINGS)]
    if with_weights:
        folders = {name.rpartition("/")[0] for name in files if name.endswith(_WEIGHTS[0])}
        needed += [
            name
            for name in files
            if name.endswith(_WEIGHTS)
            and (name.endswith(_WEIGHTS[0]) or name.rpartition("/")[0] not in folders)
        ]
    return needed


def _first_line(error):
    return str(error).strip().partition("\n")[0]
