import "uplot/dist/uPlot.min.css";
import "./style/tokens.css";
import "./style/layout.css";
import "./style/cards.css";
import "./style/tree.css";
import "./style/plots.css";
import "./style/menu.css";
import "./style/tables.css";
import "./style/alarms.css";
import { render } from "preact";
import { App } from "./app";
import { start } from "./session";

render(<App />, document.getElementById("app")!);
void start();
