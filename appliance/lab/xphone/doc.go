// Package xphone is a C4B XPhone Connect server as it stands beside the phones: a
// SIP trunk without registration whose descriptions carry ICE candidates, with
// its media ports and access lists.
//
// It plays a stranger for the product; it must never know anything of it.
package xphone
