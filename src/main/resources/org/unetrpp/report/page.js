document.querySelectorAll("table.sortable").forEach(table => {
  const headings = Array.from(table.tHead.rows[0].cells);
  headings.forEach((heading, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = heading.textContent;
    heading.replaceChildren(button);
    button.addEventListener("click", () => {
      const down = heading.ariaSort === "ascending";
      headings.forEach(other => other.removeAttribute("aria-sort"));
      heading.setAttribute("aria-sort", down ? "descending" : "ascending");
      const text = row => row.cells[column].textContent;
      const order = (one, other) => {
        const difference = Number(text(one)) - Number(text(other));
        if (text(one) === "-" || text(other) === "-") {
          return (text(one) === "-") - (text(other) === "-");
        }
        const natural = Number.isNaN(difference)
          ? text(one).localeCompare(text(other), undefined, {numeric: true})
          : difference;
        return down ? -natural : natural;
      };
      const body = table.tBodies[0];
      body.append(...Array.from(body.rows).sort(order));
    });
  });
});
