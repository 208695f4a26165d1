// The thread that trains: the page stays free.
import { expose } from "comlink";
import { openSession } from "./session.ts";

expose(openSession());
