// Package widget has the parts that pages are made of: panels, the table,
// charts, the input line, dialogs. Widgets know no domain; pages give them
// rows, points and words.
package widget
