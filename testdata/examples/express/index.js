const express = require("express");

const app = express();
app.get("/", (_request, response) => response.send("Hello from Express\n"));
app.listen(3000);
