/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The user's numbers against what a device can do. Not for what a pool needs: sizes.h.
 */
#ifndef MELIN_LIMITS_H
#define MELIN_LIMITS_H

/*
 * wanted, or the nearest value that the device can do, from low to high; in that case with one
 * warning, which calls the value name.
 */
unsigned limits_clamp(const char *name, unsigned wanted, unsigned low, unsigned high);

#endif
