"""A test that passed leaves no data behind: pytest keeps the folders of three runs, of many gigabytes each here. One that failed
keeps its brokers' logs and data."""
import shutil

import pytest


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    item.stash.setdefault(failed, []).append(outcome.get_result().failed)


failed = pytest.StashKey()


@pytest.fixture(autouse=True)
def no_data_left(request):
    if "tmp_path" not in request.fixturenames:
        yield
        return
    folder = request.getfixturevalue("tmp_path")  # before the test's own fixtures, so that brokers have ended when this one ends
    yield
    if not any(request.node.stash.get(failed, [True])):
        shutil.rmtree(folder, ignore_errors=True)
