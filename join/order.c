/* join/order.c -- times of records that cannot be, or follow each other in no order
 * SPDX-License-Identifier: Apache-2.0
 */
#include "join/order.h"

void order_note(struct order *order, const struct flow *flow, int64_t now_us)
{
    if (flow->start_us == 0) {
        return;
    }
    order->ahead += now_us != 0 && flow->start_us > now_us + ORDER_AHEAD_US;
    /* A record is written when a connection ends, whenever it began. */
    order->back += flow->end_us < order->last_us - ORDER_BACK_US;
    order->last_us = flow->end_us;
}
