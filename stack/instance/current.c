/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The instance that this copy of the module runs: melin_instance of instance.h. It has a file of
 * its own so that whoever needs it does not depend on instance.c, which opens and closes it.
 */
#include "stack/instance_parts.h"

struct stack *melin_instance;
