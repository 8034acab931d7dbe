# SPDX-License-Identifier: BSD-3-Clause
# The demo of the README.
EXTRA_DIST += tools/demo tools/gdb/melin-gdb.py
#: demo              shows a redis-server whose TCP no longer goes through the kernel
demo: all
	@$(SHELL) $(srcdir)/tools/demo '$(abs_builddir)'
.PHONY: demo
