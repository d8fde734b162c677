// SPDX-License-Identifier: GPL-2.0
/* Fills the stock HASH. */
#include "stock.h"
#include "fill.h"
