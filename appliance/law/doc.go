// Package law holds the rules of the house that a machine can check, as tests
// over the source text: who may import whom, what is pure, how long a thing
// may be, what a log line looks like. It reads syntax only, so that one room
// that does not compile hides no breach in another.
//
// It must never be imported, and knows nothing of what the product does.
package law
