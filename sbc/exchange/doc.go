// Package exchange owns all SIP transactions of the box: it runs the machines
// of sbc/txn over a Sender, matches what comes in, repeats what may be lost and
// tells owners what became of their requests. It must never know a socket, a
// dialog or a call.
//
// Order. Wire readers call Receive from several goroutines. A message finds its
// transaction in a sharded table, steps its machine under the transaction's own
// mutex, and the orders go to that transaction's queue. Whoever finds the queue
// without a drainer drains it, with no lock held: what is sent and told for one
// transaction therefore keeps its order and never overlaps, and a callback may
// call back into the exchange.
//
// Memory. A finished transaction waits up to 32 s for stragglers. It keeps its
// key and the bytes of the one message it may have to send again, nothing else.
package exchange
