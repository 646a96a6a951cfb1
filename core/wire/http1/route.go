package http1

import "vitals/core/wire"

// AppendRoute appends the class of a path to dst and returns it: segments that
// name one thing among many become {id}, so that a route has few values. cut
// says that the path was captured incompletely: its last segment becomes "*".
//
//	/users/42/orders/9f1c2b3a-…      /users/{id}/orders/{id}
//	/static/GPL-3                    /static/GPL-3
func AppendRoute(dst, path []byte, cut bool) []byte {
	if len(path) == 0 || len(path) == 1 && path[0] == '/' {
		if cut {
			return append(dst, "/*"...)
		}
		return append(dst, '/')
	}
	if path[0] != '/' {
		return append(dst, path...)
	}
	for depth := 0; len(path) > 0; depth++ {
		path = path[1:]
		end := 0
		for end < len(path) && path[end] != '/' {
			end++
		}
		dst = append(dst, '/')
		if depth == maxDepth || cut && end == len(path) {
			return append(dst, '*')
		}
		dst = wire.AppendClass(dst, path[:end])
		path = path[end:]
	}
	return dst
}

// maxDepth is how many segments of a path a route has.
const maxDepth = 12
