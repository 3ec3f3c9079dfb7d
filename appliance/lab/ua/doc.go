// Package ua is one SIP user agent on one local address, on sipgo's transport and
// transaction layers: the ground under the lab's phones and its cloud PBX.
//
// One Agent has one listener and one sipgo.UserAgent, because a sipgo agent with two
// listeners answers from the wrong one. A request in a dialog goes back on the flow
// that the dialog came by. A Gate can turn the agent's network into a black hole.
//
//	            Ring          Answer+ACK
//	Incoming ---------> Ringing ------> Talking ----> Ended
//	Dialling ---------> Ringing ------> Talking ----> Ended
//	            180           200             BYE, Drop
//
// It knows dialogs and their media; it must never know accounts, extensions or
// anything of the product.
package ua
