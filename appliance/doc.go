// Package appliance is the roof: it reads the daemon's settings and the site
// document, makes every room, starts them from the ground up and stops them
// from the roof down, and is the one place that knows them all.
//
//	store · bindings · media · wire ─▶ exchange ─▶ switchboard ─▶ mode · names
//	                                        └─ api · metrics · watch
package appliance
