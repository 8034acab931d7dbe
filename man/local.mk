# SPDX-License-Identifier: BSD-3-Clause
dist_man_MANS += man/libmelin.7 man/melin-broker.8 man/melin.1
