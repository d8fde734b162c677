/** The other end of AnsweringChild: carries out lines of JSON on standard input, `{ id, ... }`, one after the other. */

import { createInterface } from "node:readline";

const answer = (body: object) => void process.stdout.write(`${JSON.stringify(body)}\n`);

/** A failure is answered as well: `{ id, error, remedy }`. Ends the process when nobody is there to give orders. */
export function serveOrders<Order extends { readonly id: number }>(carryOut: (order: Order) => Promise<object>): void {
  let turn: Promise<unknown> = Promise.resolve();
  createInterface({ input: process.stdin })
    .on("line", (line) => {
      const order = JSON.parse(line) as Order;
      turn = turn
        .then(() => carryOut(order))
        .then(
          (done) => answer({ id: order.id, ...done }),
          (error: Error & { remedy?: string }) => answer({ id: order.id, error: error.message, remedy: error.remedy }),
        );
    })
    .on("close", () => process.exit(0));
  answer({ id: 0 });
}
