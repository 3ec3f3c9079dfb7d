// Package config reads the site document: one YAML file that describes a whole
// site (its phones, lines, dial plan, network).
//
//	document --Parse--> defaults < provider profile < what is written --> *Site
//	             |
//	             +----> every problem at once, each with file:line:column
//
// A value that is in a Site is in range: the types refuse what can't be. What
// a change of the document costs the running calls stands at each field (the
// apply tag) and is summed up by Cost.
//
// The package opens no file and no socket. It must never know how a value is
// acted on, only whether this version does (see effect.go).
package config
