// SPDX-License-Identifier: GPL-2.0
/* Fills xgw's own flow table. */
#include "fill.h"
