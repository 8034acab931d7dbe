# SPDX-License-Identifier: BSD-3-Clause
# What lends connections of the kernel's (broker/lender.h): part of libmelin.so, of the broker and
# of their tests, each of which compiles it with its own flags. Needs libc and
# common/libcommon.la alone.
lender_sources = \
	broker/lender.h \
	broker/refusal.c \
	broker/repair.c \
	broker/repair.h
