package org.unetrpp.report;

import java.io.IOException;
import java.io.Writer;
import java.util.List;

/** Writes HTML that is XML, too: every element is closed, every text escaped. */
final class Html {
  private final Writer out;

  Html(Writer out) {
    this.out = out;
  }

  /** A text whose signs mean nothing to a browser; those that XML cannot hold become U+FFFD. */
  static String escape(String text) {
    StringBuilder escaped = new StringBuilder();
    text.codePoints()
        .forEach(point -> {
          switch (point) {
            case '<' -> escaped.append("&lt;");
            case '>' -> escaped.append("&gt;");
            case '&' -> escaped.append("&amp;");
            case '"' -> escaped.append("&quot;");
            case '\'' -> escaped.append("&#39;");
            default -> escaped.appendCodePoint(isCharacter(point) ? point : 0xfffd);
          }
        });
    return escaped.toString();
  }

  private static boolean isCharacter(int point) {
    return point == '\t'
        || point == '\n'
        || (point >= 0x20 && point <= 0xd7ff)
        || (point >= 0xe000 && point <= 0xfffd)
        || point >= 0x10000;
  }

  /** Markup as it is. */
  Html raw(String markup) throws IOException {
    out.write(markup);
    return this;
  }

  /** An element that holds a text. */
  Html element(String name, String text) throws IOException {
    return raw("<" + name + ">").raw(escape(text)).raw("</" + name + ">\n");
  }

  /**
   * Begins a table whose columns can be sorted.
   *
   * @param caption what it shows
   * @param names how many columns hold names, the others numbers
   */
  Html beginTable(String caption, int names, List<String> headings) throws IOException {
    raw("<div class=\"wide\"><table class=\"sortable\">\n");
    element("caption", caption);
    raw("<thead><tr>");
    for (int i = 0; i < headings.size(); i++) {
      raw("<th scope=\"col\"" + (i < names ? "" : " class=\"number\"") + ">");
      raw(escape(headings.get(i))).raw("</th>");
    }
    return raw("</tr></thead>\n<tbody>\n");
  }

  /**
   * A row of a table, whose first cell is its heading.
   *
   * @param names how many cells hold names, the others numbers
   */
  Html row(int names, List<String> cells) throws IOException {
    raw("<tr><th scope=\"row\">").raw(escape(cells.getFirst())).raw("</th>");
    for (int i = 1; i < cells.size(); i++) {
      raw(i < names ? "<td>" : "<td class=\"number\">").raw(escape(cells.get(i))).raw("</td>");
    }
    return raw("</tr>\n");
  }

  Html endTable() throws IOException {
    return raw("</tbody></table></div>\n");
  }
}
