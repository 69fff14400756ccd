# tests/e2e/support/__init__.py -- helpers of the end-to-end cases.
# SPDX-License-Identifier: Apache-2.0
