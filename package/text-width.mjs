// Stands in for the package string-width, whose tables of Unicode take longer to set up than all else at the start. What it
// measures here are the help texts, which a test holds to characters of one column.
import { stripVTControlCharacters } from "node:util";

export default (text) => stripVTControlCharacters(text).length;
