#!/usr/bin/env node
import { launch } from "../cli/launch.js";
await launch("bench-check");
