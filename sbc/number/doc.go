// Package number is the dial plan in words: what a user dials, what it means,
// and how a number is written for a provider and for a person.
//
// Numbers are compared in E.164 form. The rules of each country come from
// libphonenumber's Go port; what the site adds (area code, outside prefix,
// extensions, emergency numbers, blocked ranges) comes in as a Plan.
// The library reads its tables when the process starts (about 23 ms and 2.5 MB
// on one core of a server; measured with GODEBUG=inittrace=1). NewBook does the
// rest ahead of the first call, so that Dial takes about 10 µs from the start.
//
// The package is pure: it must never know a socket, a clock, a provider's
// address or who is calling.
package number
