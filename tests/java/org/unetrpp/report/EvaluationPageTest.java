package org.unetrpp.report;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import javax.xml.parsers.DocumentBuilderFactory;
import org.junit.jupiter.api.Test;
import org.unetrpp.grid.Extents;
import org.unetrpp.image.Affine;
import org.unetrpp.image.Geometry;
import org.unetrpp.image.LabelVolume;
import org.unetrpp.image.Spacing;
import org.unetrpp.metrics.Convention;
import org.unetrpp.metrics.Evaluation;
import org.unetrpp.metrics.Settings;
import org.unetrpp.metrics.Structure;
import org.w3c.dom.Document;
import org.w3c.dom.Element;
import org.w3c.dom.NodeList;

class EvaluationPageTest {
  private static final String NASTY = "<script>alert('x')</script>&amp;\"\u0001";
  private static final Geometry ROW =
      new Geometry(new Extents(1, 1, 8), Affine.ofSpacing(new Spacing(1, 1, 1)));

  private static EvaluationPage.Case compared(
      String name, Convention convention, String prediction, String reference) {
    return new EvaluationPage.Case(
        name,
        Evaluation.of(
            labels(prediction),
            labels(reference),
            List.of(Structure.of("liver", 1), Structure.of(NASTY, 2)),
            new Settings(convention, 1, true)));
  }

  private static LabelVolume labels(String digits) {
    byte[] labels = new byte[digits.length()];
    for (int i = 0; i < labels.length; i++) {
      labels[i] = (byte) (digits.charAt(i) - '0');
    }
    return new LabelVolume(ROW, labels);
  }

  private static EvaluationPage page(Convention convention) {
    return new EvaluationPage(
        List.of(
            compared("good", convention, "11110000", "11110000"),
            compared("bad" + NASTY, convention, "11002200", "11110022"),
            compared("none", convention, "00000000", "00000000")),
        List.of("#00ff00", "#ff00ff"),
        List.of("broken" + NASTY + ": no image"),
        List.of(new EvaluationPage.Entry("Predictions", NASTY)));
  }

  private static String html(EvaluationPage page, EvaluationPage.Figures figures, int count)
      throws IOException {
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    page.writeTo(bytes, figures, count);
    return bytes.toString(StandardCharsets.UTF_8);
  }

  private static String html() throws IOException {
    return html(page(Convention.MILLIMETERS), _ -> new byte[] {1, 2, 3}, 2);
  }

  private static Document parsed(String html) throws Exception {
    return DocumentBuilderFactory.newInstance()
        .newDocumentBuilder()
        .parse(new ByteArrayInputStream(html.getBytes(StandardCharsets.UTF_8)));
  }

  private static List<Element> elements(Document document, String name) {
    NodeList nodes = document.getElementsByTagName(name);
    List<Element> elements = new ArrayList<>();
    for (int i = 0; i < nodes.getLength(); i++) {
      elements.add((Element) nodes.item(i));
    }
    return elements;
  }

  @Test
  void pageIsWellFormedAndLoadsNothing() throws Exception {
    String html = html();
    Document document = parsed(html);
    assertThat(html).startsWith("<!DOCTYPE html>").doesNotContainIgnoringCase("http");
    assertThat(elements(document, "script")).hasSize(1);
    assertThat(elements(document, "link")).isEmpty();
    assertThat(html).doesNotContain("url(").doesNotContain("@import");
    for (Element image : elements(document, "img")) {
      assertThat(image.getAttribute("src")).startsWith("data:image/png;base64,");
      assertThat(image.getAttribute("alt")).startsWith("Slices of ");
    }
  }

  @Test
  void namesMeanNothingToTheBrowser() throws Exception {
    String html = html();
    String shown = NASTY.replace('\u0001', '\ufffd');
    assertThat(html).doesNotContain("<script>alert");
    Document document = parsed(html);
    assertThat(elements(document, "h3").getFirst().getTextContent()).isEqualTo("bad" + shown);
    assertThat(elements(document, "dd").getFirst().getTextContent()).isEqualTo(shown);
    assertThat(elements(document, "li").getFirst().getTextContent())
        .isEqualTo("broken" + shown + ": no image");
  }

  @Test
  void tablesHaveHeadingsAndNumbers() throws Exception {
    Document document = parsed(html());
    List<Element> tables = elements(document, "table");
    assertThat(tables).hasSize(4 + 2);
    for (Element table : tables) {
      assertThat(table.getElementsByTagName("caption").getLength()).isEqualTo(1);
      NodeList rows = table.getElementsByTagName("tr");
      for (int i = 0; i < rows.getLength(); i++) {
        Element heading = (Element) ((Element) rows.item(i)).getElementsByTagName("th").item(0);
        assertThat(heading.getAttribute("scope")).isEqualTo(i == 0 ? "col" : "row");
      }
    }
    // Dice of the liver: 1 and 2 * 2 / 6; undefined in the third case.
    assertThat(cells(tables.getFirst(), 1))
        .containsExactly("liver", "0.8333", "0.8333", "0.2357", "0.6667", "1.0000", "2");
    // All values of the first case: the other class is in neither volume.
    assertThat(cells(tables.getLast(), 1))
        .containsExactly("good", "liver", "1.0000", "0.00", "1.0000", "+0.00");
    assertThat(cells(tables.getLast(), 2)).endsWith("-", "-", "-", "+0.00");
  }

  private static List<String> cells(Element table, int row) {
    NodeList nodes = ((Element) table.getElementsByTagName("tr").item(row)).getChildNodes();
    List<String> cells = new ArrayList<>();
    for (int i = 0; i < nodes.getLength(); i++) {
      cells.add(nodes.item(i).getTextContent());
    }
    return cells;
  }

  @Test
  void worstCasesAreFirstAndThoseWithoutDiceLast() throws Exception {
    Document document = parsed(html());
    Element cases = elements(document, "table").get(4);
    assertThat(cells(cases, 1).getFirst()).startsWith("bad");
    assertThat(cells(cases, 1)).endsWith("0.0000", "0.3333");
    assertThat(cells(cases, 2).getFirst()).isEqualTo("good");
    assertThat(cells(cases, 3)).containsExactly("none", "-", "-", "-");
  }

  @Test
  void figuresAreDrawnOneByOneForTheWorst() throws Exception {
    List<String> drawn = new ArrayList<>();
    EvaluationPage.Figures figures =
        drawnCase -> {
          drawn.add(drawnCase.name());
          return new byte[] {1};
        };
    html(page(Convention.MILLIMETERS), figures, 1);
    assertThat(drawn).hasSize(1).allMatch(name -> name.startsWith("bad"));
    drawn.clear();
    String without = html(page(Convention.MILLIMETERS), figures, 0);
    assertThat(drawn).isEmpty();
    assertThat(elements(parsed(without), "img")).isEmpty();
  }

  @Test
  void aFigureThatCannotBeDrawnSaysWhy() throws Exception {
    EvaluationPage.Figures figures =
        _ -> {
          throw new IOException("x.nii.gz: is <gone>");
        };
    Document document = parsed(html(page(Convention.MILLIMETERS), figures, 1));
    assertThat(elements(document, "p"))
        .anyMatch(p -> p.getTextContent().equals("No figure: x.nii.gz: is <gone>"));
  }

  @Test
  void plotsShowEachDefinedValue() throws Exception {
    Document document = parsed(html());
    List<Element> plots = elements(document, "svg");
    assertThat(plots).hasSize(3);
    assertThat(plots.getFirst().getAttribute("aria-label")).startsWith("Dice by class");
    // Liver in two cases, the other class in one.
    assertThat(plots.getFirst().getElementsByTagName("circle").getLength()).isEqualTo(3);
    Element point = (Element) plots.getFirst().getElementsByTagName("circle").item(0);
    assertThat(point.getTextContent()).isEqualTo("good: 1.0000");
    assertThat(point.getAttribute("fill")).isEqualTo("#00ff00");
    assertThat(point.getAttribute("cx")).isEqualTo("690.0");
  }

  @Test
  void conventionsAreStated() throws Exception {
    assertThat(html()).contains("Distances are in mm", "do not count: Dice where a class is in");
    String voxels = html(page(Convention.VOXELS), _ -> new byte[0], 0);
    assertThat(voxels).contains("Distances are in voxels", "Dice counts as 1", "HD95 (voxels)");
  }

  @Test
  void sameCasesGiveTheSameBytes() throws Exception {
    assertThat(html()).isEqualTo(html());
  }
}
